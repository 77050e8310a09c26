"""Why a pair stops learning: what is tried, what is measured, and the rule that names the cause. No torch.

options      what may be tried and what it may cost
design       the length at which a pair is explained, and the seeds
arms         the interventions: one thing changed in each
evidence     what the gradient of one seed showed
rescue       shares of seeds that an intervention rescues, with intervals
vanishing    whether a gradient vanishes, and medians over seeds
rule         the verdict, of a seed and of a pair
"""
