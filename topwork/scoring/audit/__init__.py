"""The audit: what in the data makes scores wrong or costs accuracy, found in activations and in solved heads.

Read `topwork.scoring.audit.audit` first. What bytes and pixels show is in `topwork.data.quality`.
"""
