"""The time that explanations take, through HTTP."""
