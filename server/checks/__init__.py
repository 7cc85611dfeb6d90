"""What ``impasto doctor`` looks at. Each check yields findings; none changes anything."""
