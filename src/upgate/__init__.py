"""Does the upgraded LSTM recipe help on your data?"""
