"""Where the champion set lies below the root: the engine publishes under these names, Hamilton reads them."""

MODELS = "models/champions/latest"
ROSTER = "hamilton/roster.json"
CONFIGS = "hamilton/configs"
ACTIVE = "hamilton/active"
