"""An OpenAI-compatible server for one machine: files, live transcription, and a page."""
