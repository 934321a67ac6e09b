"""Pure: rules and their validation, the reference verdict, the incremental compiler and its from-scratch twin."""
