/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The registry: SQLite (WAL, synchronous FULL) in registry.db of the state
 * folder, mode 0600. Several processes may use it at once: one that has it locked is waited for, in each function
 * SH_REGISTRY_BUSY_MS at most, and then the function fails with env.registry. It holds linked devices, attempts and
 * the lock, revisions, received items, begun transfers, receipts, levels at one metre, addresses. The schema version stands in user_version; older
 * ones are migrated in one transaction, newer ones are refused. Every function fails with
 * env.registry (the detail says what SQLite said), store.no-space, store.read-only, env.permission,
 * env.no-memory; what cannot be kept at all (a length or state that the caller had to check) is
 * internal.bug.
 */
#ifndef SIMHOP_PAIRING_REGISTRY_H
#define SIMHOP_PAIRING_REGISTRY_H

#include "crypto/cert.h"
#include "crypto/identity.h"
#include "pairing/policy.h"

#define SH_REGISTRY_BUSY_MS 2000

struct sh_registry;

/* folder: the state folder (made 0700 if absent, as are those above it), or NULL for one in memory;
 * its path has at most 480 bytes. Also fails with env.registry-newer. */
SH_MUST_USE enum sh_cause sh_registry_open(const char *folder, struct sh_registry **ret_registry);
void sh_registry_close(struct sh_registry *registry);
void sh_registry_closep(struct sh_registry **registry);

/* ---- Linked devices ---- */

enum sh_device_state {
    SH_DEVICE_PENDING = 1,
    SH_DEVICE_AUTHORISED = 2,
    SH_DEVICE_EXPIRED = 3,
    SH_DEVICE_REVOKED = 4,
};
/* What the other device is to us. */
enum sh_device_relation { SH_DEVICE_IS_ANCHOR = 1, SH_DEVICE_IS_SECONDARY = 2 };

struct sh_device {
    uint8_t id[SH_DEVICE_ID_SIZE];
    enum sh_device_relation relation; /* id and relation are the key */
    char name[65];
    int kind; /* Simhop__DeviceKind */
    char eid[33];
    enum sh_device_state state;
    int64_t linked_at, last_seen;   /* seconds since 1970 */
    uint8_t serial[SH_SERIAL_SIZE]; /* of the token */
    int64_t not_after;              /* of the token */
    uint64_t epoch;
    uint64_t last_revision;  /* of the bundle last taken from (anchor) or given to (secondary) it */
    uint8_t public_key[256]; /* SubjectPublicKeyInfo, DER */
    size_t public_key_len;
    /* Only of an anchor: what a reconnect needs. */
    uint8_t token[SH_CERT_MAX];
    size_t token_len;
    uint8_t ca[SH_CERT_MAX];
    size_t ca_len;
    uint8_t resolving_key[SH_RESOLVING_KEY_SIZE];
    /* What the nearness check said when it was linked. */
    double metres; /* NAN: not said */
    unsigned proximity_samples;
    double score_db, spread_db, rate_hz; /* NAN: not said */
    enum sh_level_kind level;            /* these two only if the score is said */
    enum sh_proximity_policy policy;
};

/* Takes over what the measurement of this estimate rests on. */
void sh_device_set_proximity(struct sh_device *device, const struct sh_proximity_estimate *estimate,
                             enum sh_proximity_policy policy);

const char *sh_device_state_name(enum sh_device_state state); /* "authorised" */

/* Inserts or replaces by (id, relation). */
SH_MUST_USE enum sh_cause sh_registry_put_device(struct sh_registry *registry,
                                                 const struct sh_device *device);
/* Fails with linked.unknown. */
SH_MUST_USE enum sh_cause sh_registry_get_device(struct sh_registry *registry,
                                                 const uint8_t id[SH_DEVICE_ID_SIZE],
                                                 enum sh_device_relation relation,
                                                 struct sh_device *ret_device);
/* An authorised device whose token is past its end counts as expired (computed with now, seconds
 * since 1970). *ret_devices is malloc'ed, last seen first; at most 4096. */
SH_MUST_USE enum sh_cause sh_registry_list_devices(struct sh_registry *registry, int64_t now,
                                                   struct sh_device **ret_devices,
                                                   size_t *ret_count);
/* Of one that is linked: kept in memory, and written together with others by settle, by list_devices, when 64 are kept, and at the
 * close. A kill loses it, and that is no harm. */
void sh_registry_seen(struct sh_registry *registry, const uint8_t id[SH_DEVICE_ID_SIZE],
                      enum sh_device_relation relation, int64_t now);
/* Writes who was seen, without waiting for the disk; what cannot be written is forgotten. Inside a batch it
 * does nothing. */
SH_MUST_USE enum sh_cause sh_registry_settle(struct sh_registry *registry);
/* This, and set_last_revision below, fail with linked.unknown too. */
SH_MUST_USE enum sh_cause sh_registry_set_state(struct sh_registry *registry,
                                                const uint8_t id[SH_DEVICE_ID_SIZE],
                                                enum sh_device_relation relation,
                                                enum sh_device_state state);

/* ---- Levels at one metre (registry_levels.c) ----
 * Of a device as heard by an adapter of ours, measured by `simhop calibrate`. */
#define SH_ADAPTER_MAX 63
struct sh_known_level {
    uint8_t id[SH_DEVICE_ID_SIZE];
    char adapter[SH_ADAPTER_MAX + 1]; /* its address, or "sim" */
    double dbm, spread_db;
    unsigned samples, positions; /* positions: blocks of 250 ms in which it was heard */
    int64_t time;                /* seconds since 1970 */
};

/* Inserts or replaces by (id, adapter). Values that are not finite are internal.bug. */
SH_MUST_USE enum sh_cause sh_registry_put_level(struct sh_registry *registry,
                                                const struct sh_known_level *level);
/* adapter NULL: the newest one of any. Fails with linked.unknown if there is none. */
SH_MUST_USE enum sh_cause sh_registry_get_level(struct sh_registry *registry,
                                                const uint8_t id[SH_DEVICE_ID_SIZE],
                                                const char *adapter,
                                                struct sh_known_level *ret_level);

/* ---- Where an anchor was reached last (secondary; registry_addresses.c) ----
 * The addresses and the port of its LAN offer: a hint for the next sync, trusted in nothing. */
#define SH_ADDRESSES_MAX 12
struct sh_address {
    uint8_t bytes[16];
    size_t len; /* 4 or 16 */
};
struct sh_addresses {
    uint8_t id[SH_DEVICE_ID_SIZE];
    uint16_t port; /* not 0 */
    struct sh_address list[SH_ADDRESSES_MAX];
    size_t count; /* not 0 */
};

/* Inserts or replaces. */
SH_MUST_USE enum sh_cause sh_registry_put_addresses(struct sh_registry *registry,
                                                    const struct sh_addresses *addresses);
/* Fails with linked.unknown if there are none. */
SH_MUST_USE enum sh_cause sh_registry_get_addresses(struct sh_registry *registry,
                                                    const uint8_t id[SH_DEVICE_ID_SIZE],
                                                    struct sh_addresses *ret_addresses);

/* ---- Attempts and the lock (anchor) ----
 * An attempt is charged, durably, before the verifier's first message leaves, and never refunded:
 * it counts as failed until a success ends the row, and a lock runs from its charge. Three failures
 * in a row close pairing for 60 s, each further one for twice as long (at most a day); ten in a row
 * close it until a person opens it. Time is CLOCK_BOOTTIME; after a reboot (another boot id) a lock
 * that was not seen to end starts its full length again, so the wall clock plays no part. */

struct sh_gate {
    bool open;
    bool until_person; /* closed until sh_registry_unlock */
    uint64_t wait_ms;  /* closed for so long */
    unsigned failures; /* in a row */
};

/* boot_id: the kernel's, or any text of at most 128 bytes that changes with each boot. */
SH_MUST_USE enum sh_cause sh_registry_gate(struct sh_registry *registry, const char *boot_id,
                                           sh_ms now, struct sh_gate *ret_gate);
/* One transaction: looks at the gate and charges. Fails with confirm.locked-out (detail: how long).
 * */
SH_MUST_USE enum sh_cause sh_registry_charge(struct sh_registry *registry, const char *boot_id,
                                             sh_ms now);
SH_MUST_USE enum sh_cause sh_registry_confirmed(struct sh_registry *registry);
SH_MUST_USE enum sh_cause sh_registry_unlock(struct sh_registry *registry);

/* ---- Revisions (anchor): strictly increasing, never given twice ---- */
SH_MUST_USE enum sh_cause sh_registry_next_revision(struct sh_registry *registry,
                                                    uint64_t *ret_revision);
SH_MUST_USE enum sh_cause sh_registry_set_last_revision(struct sh_registry *registry,
                                                        const uint8_t id[SH_DEVICE_ID_SIZE],
                                                        enum sh_device_relation relation,
                                                        uint64_t revision);

/* ---- Received items (secondary): so that a repeated sync sends nothing twice ---- */
struct sh_received {
    uint8_t item_id[16];
    uint8_t anchor_id[SH_DEVICE_ID_SIZE]; /* zeros: not known */
    uint8_t root[32];
    uint8_t sha256[32]; /* of the whole content */
    uint64_t size;
    int64_t mtime_ns; /* of the file as it was left */
    char path[4096];
};
SH_MUST_USE enum sh_cause sh_registry_put_received(struct sh_registry *registry,
                                                   const struct sh_received *received);
/* Fails with linked.unknown if there is none. */
SH_MUST_USE enum sh_cause sh_registry_get_received(struct sh_registry *registry,
                                                   const uint8_t item_id[16],
                                                   struct sh_received *ret_received);

/* The one whose file of this path, size and time came from that anchor; there may be others of the same path, for a row is
 * written before its file appears. Fails with linked.unknown if there is none. */
SH_MUST_USE enum sh_cause sh_registry_find_received(struct sh_registry *registry,
                                                    const uint8_t anchor_id[SH_DEVICE_ID_SIZE],
                                                    const char *path, uint64_t size,
                                                    int64_t mtime_ns,
                                                    struct sh_received *ret_received);
/* The file at its path is this one now: rows of others that were there are forgotten. */
SH_MUST_USE enum sh_cause sh_registry_settle_received(struct sh_registry *registry,
                                                      const struct sh_received *received);

/* ---- Begun transfers (secondary; registry_transfers.c) ----
 * Items whose pieces are kept in a folder until they are complete, so that a person can be told of
 * them and go on. Only a list: what is verified stands in the store's own journal. */
#define SH_TRANSFER_NAME_MAX 255
#define SH_TRANSFER_DIR_MAX  4095
#define SH_TRANSFERS_MAX     4096 /* of a list */
struct sh_transfer {
    uint8_t item_id[16];
    uint8_t anchor_id[SH_DEVICE_ID_SIZE];
    char name[SH_TRANSFER_NAME_MAX + 1];
    int kind; /* Simhop__ItemKind */
    uint64_t size;
    char dir[SH_TRANSFER_DIR_MAX + 1]; /* item_id and dir are the key */
    int64_t begun, touched;            /* seconds since 1970 */
};

/* Inserts, or replaces by (item_id, dir); one that is there keeps its begun. */
SH_MUST_USE enum sh_cause sh_registry_put_transfer(struct sh_registry *registry,
                                                   const struct sh_transfer *transfer);
/* Nothing to remove is fine. */
SH_MUST_USE enum sh_cause sh_registry_remove_transfer(struct sh_registry *registry,
                                                      const uint8_t item_id[16], const char *dir);
/* Fails with linked.unknown if there is none. */
SH_MUST_USE enum sh_cause sh_registry_get_transfer(struct sh_registry *registry,
                                                   const uint8_t item_id[16], const char *dir,
                                                   struct sh_transfer *ret_transfer);
/* The one of that name, folder and anchor that was touched last, other than item_id. Fails with linked.unknown if there is
 * none. */
SH_MUST_USE enum sh_cause sh_registry_find_transfer(struct sh_registry *registry,
                                                    const uint8_t anchor_id[SH_DEVICE_ID_SIZE],
                                                    const char *name, const char *dir,
                                                    const uint8_t item_id[16],
                                                    struct sh_transfer *ret_transfer);
/* *ret_transfers is malloc'ed, last touched first; at most SH_TRANSFERS_MAX. */
SH_MUST_USE enum sh_cause sh_registry_list_transfers(struct sh_registry *registry,
                                                     struct sh_transfer **ret_transfers,
                                                     size_t *ret_count);

/* Several of put_transfer, remove_transfer, put_received and put_receipt as one: all or none, with one
 * wait for the disk. What begins is ended, by the cause of what came between: any but SH_OK takes it all
 * back, and is given back. */
SH_MUST_USE enum sh_cause sh_registry_batch_begin(struct sh_registry *registry);
SH_MUST_USE enum sh_cause sh_registry_batch_end(struct sh_registry *registry, enum sh_cause cause);

/* ---- Receipts ---- */
struct sh_receipt {
    uint8_t transfer_id[16];
    uint8_t device_id[SH_DEVICE_ID_SIZE]; /* the other side */
    int64_t time;
    struct sh_bytes roots;     /* 32 octets an item; at most 1024 items */
    struct sh_bytes signature; /* DER */
};
SH_MUST_USE enum sh_cause sh_registry_put_receipt(struct sh_registry *registry,
                                                  const struct sh_receipt *receipt);
SH_MUST_USE enum sh_cause sh_registry_count_receipts(struct sh_registry *registry,
                                                     const uint8_t device_id[SH_DEVICE_ID_SIZE],
                                                     uint64_t *ret_count);

#endif
