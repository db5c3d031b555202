//! One file per thing that one can do. gRPC, commands and courier all call these; none of them knows who called.
