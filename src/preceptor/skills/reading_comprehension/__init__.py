"""Reading comprehension: understand, interpret and reason over a given text."""
