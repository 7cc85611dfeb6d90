"""What everything stands on: types, errors, settings, progress. No model, no file, no computing."""
