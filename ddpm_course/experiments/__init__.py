"""The commands behind the records: experiments that take longer than a lesson."""
