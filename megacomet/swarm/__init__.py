"""The load client: opens many long-polls, holds them, counts and checks what arrives."""
