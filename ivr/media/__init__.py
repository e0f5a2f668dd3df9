"""The media plane: RTP, prompts, DTMF, answering machines, recording taps."""
