"""How far a project has come by two published maturity models, from what really happened in it."""
