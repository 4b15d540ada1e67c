"""The job commands: one small module for each kind of job."""
