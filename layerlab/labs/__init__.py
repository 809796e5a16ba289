"""The labs: what each experiment measures, and how it shows it."""
