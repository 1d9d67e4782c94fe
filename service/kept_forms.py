"""The names under which a model's compiled form is kept. A module of their own: who reads them needs no scikit-learn."""

FORM = "compiled"
"""The attachment with a model's compiled form, the gate that judged it, and what it found in the model's details."""
FORM_FILE = "compiled.form"
"""The sealed file in which a run's judge leaves the challenger's form."""
REFIT_FORM_FILE = "refit-compiled.form"
"""The same of the refitted model."""
