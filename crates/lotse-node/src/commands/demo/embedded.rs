//! The demonstration's own files, inside the program, so that it runs anywhere.

macro_rules! files {
    ($($path:literal)+) => {
        /// Every file below `demo/`: its path there, and its text.
        pub(super) const FILES: &[(&str, &str)] = &[$(($path, include_str!(concat!("../../../demo/", $path)))),+];
    };
}

files! {
    "README.md"
    "agreement.toml"
    "territories.csv"
    "expected.txt"
    "consents/jc-hanau.hessen.example.ndjson"
    "consents/kca-main-kinzig.hessen.example.ndjson"
    "consents/aa-hanau.hessen.example.ndjson"
    "consents/jugendamt-hanau.hessen.example.ndjson"
    "consents/abh-hanau.hessen.example.ndjson"
    "referrals/jc-hanau.hessen.example.ndjson"
    "referrals/kca-main-kinzig.hessen.example.ndjson"
    "referrals/aa-hanau.hessen.example.ndjson"
    "referrals/jugendamt-hanau.hessen.example.ndjson"
    "referrals/abh-hanau.hessen.example.ndjson"
    "answers/jc-hanau.hessen.example.ndjson"
    "answers/kca-main-kinzig.hessen.example.ndjson"
    "answers/aa-hanau.hessen.example.ndjson"
    "answers/jugendamt-hanau.hessen.example.ndjson"
    "answers/abh-hanau.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/referrals/jc-hanau.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/referrals/kca-main-kinzig.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/referrals/jugendamt-hanau.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/referrals/abh-hanau.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/withdrawals/kca-main-kinzig.hessen.example.ndjson"
    "outages/aa-hanau.hessen.example/withdrawals/abh-hanau.hessen.example.ndjson"
}
