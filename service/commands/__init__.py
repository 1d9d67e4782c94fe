"""The commands of ``incumbent``, one file a subject. ``service/cli.py`` puts them together."""
