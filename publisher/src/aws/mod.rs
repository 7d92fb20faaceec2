//! What the publisher says to AWS.
