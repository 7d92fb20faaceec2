//! How a layer zip comes into being.
