//! The cryptography of every connection.

use std::sync::{Arc, LazyLock};

use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};

/// The signatures that prove possession of a leaf's key in a handshake: leaves are ECDSA. The chain above may be signed with
/// whatever the provider knows.
pub(super) static LEAF_SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ECDSA_P256_SHA256, webpki::aws_lc_rs::ECDSA_P384_SHA384],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[webpki::aws_lc_rs::ECDSA_P256_SHA256]),
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[webpki::aws_lc_rs::ECDSA_P384_SHA384]),
    ],
};

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::SECP256R1MLKEM768,
            kx_group::SECP256R1,
            kx_group::SECP384R1,
            kx_group::X25519,
        ],
        cipher_suites: vec![cipher_suite::TLS13_AES_256_GCM_SHA384, cipher_suite::TLS13_AES_128_GCM_SHA256],
        ..default_provider()
    })
});

/// Returns the provider: hybrid post-quantum key exchange first, AES-GCM only (BSI TR-02102-2).
pub fn provider() -> Arc<CryptoProvider> {
    PROVIDER.clone()
}
