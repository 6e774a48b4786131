"""How work runs beside this process, stops, and resumes."""
