"""Model cards: what the registry remembers of one version, as values, as Markdown and as a bill of materials."""
