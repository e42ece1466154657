//! A `.env` file as a lossless document.
