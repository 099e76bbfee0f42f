"""AudioCaps' captions: what people wrote of AudioSet's clips (Kim et al. 2019); no audio."""
