"""The kinds of sound this project knows by name: ESC-50's categories and those made in code."""

ESC10 = (
    "dog", "rooster", "rain", "sea_waves", "crackling_fire", "crying_baby", "sneezing",
    "clock_tick", "helicopter", "chainsaw",
)  # fmt: skip
"""The subset of ESC-50 under CC BY."""

ESC50 = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind",
    "pouring_water", "toilet_flush", "thunderstorm",
    "crying_baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing",
    "brushing_teeth", "snoring", "drinking_sipping",
    "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening",
    "washing_machine", "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking",
    "helicopter", "chainsaw", "siren", "car_horn", "engine", "train", "church_bells", "airplane",
    "fireworks", "hand_saw",
)  # fmt: skip
"""In the order of ESC-50's targets."""

SYNTHETIC = (
    "telephone_ring", "hum", "white_noise", "morse_code", "whistle", "bouncing_ball",
    "geiger_counter",
)  # fmt: skip
"""Kinds that only ``training.scenes.synthetic`` has."""

KINDS = ESC50 + SYNTHETIC
