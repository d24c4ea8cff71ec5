"""Does the robot succeed when it executes what the model imagined?"""
