"""The dashboard: pages over what the API tells, rendered here, in the service's own process."""
