"""From result files to tables and pages."""
