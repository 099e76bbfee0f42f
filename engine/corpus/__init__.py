"""A corpus on the engine: many files to Parquet, in parts, on workers that Ray Data schedules.

Needs ``pip install 'audiodiff[corpus]'``. Nothing else imports it.
"""
