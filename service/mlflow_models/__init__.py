"""Models to and from MLflow, as files: nothing here imports MLflow."""
