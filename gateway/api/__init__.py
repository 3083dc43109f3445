"""The API formats that clients speak. Inside, everything is a chat completion; a dialect translates at both edges."""
