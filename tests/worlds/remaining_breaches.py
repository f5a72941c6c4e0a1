"""Breaches of the laws that are known. This list only shrinks: mend one, strike it off; never add to it."""

REMAINING = {
    "words": [
        "signing.channel_publisher: seen",
        "signing.executor: act",
        "signing.local_manifest: seen",
        "signing.merge: anew",
        "signing.pair_manifest: anew",
        "signing.push_signer: anew",
        "signing.trust_files: seen",
        "transfer.compare: news",
        "transfer.compare: seen",
        "transfer.download: _large",
        "transfer.journal: anew",
        "transfer.upload: _large",
        "transfer.upload: _small",
    ],
}
