"""The event contracts: JSON Schema documents, one file an event. Imports nothing of ours."""
