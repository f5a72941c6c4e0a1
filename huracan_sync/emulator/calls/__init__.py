"""From one HTTP request to one checked call: authentication, argument decoding, limits. Imports `spec` and `state`."""
