"""The way of a prediction call through the server: read, gathered with others, answered, logged, written."""
