"""What the Dropbox API is: schema, argument checks, error texts, identifiers. Pure; imports nothing."""
