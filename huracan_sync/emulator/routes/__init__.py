"""The handlers of the API's routes and of OAuth; `table` lists them all. Imports `calls`, `state` and `spec`."""
