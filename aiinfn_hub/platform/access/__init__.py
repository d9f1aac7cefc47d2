"""Who may use what: policy, limits, denials and the offer to one person."""
