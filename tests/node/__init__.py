"""Published JavaScript clients, run by the Node of the development lock."""
