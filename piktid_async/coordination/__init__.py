"""Who may submit, and when: in one process, or shared between many."""
