"""A city's day on the rails: millions of real taps, by shards that know nothing of each other."""
