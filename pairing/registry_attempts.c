/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <inttypes.h>

#include "pairing/registry_db.h"

#define LOCK_FROM     3
#define PERSON_FROM   10
#define LOCK_FIRST_MS (60 * INT64_C(1000))
#define LOCK_MAX_MS   (24 * 60 * 60 * INT64_C(1000))
#define BOOT_ID_MAX   128

/* The one row of the table. */
struct attempts {
    int64_t failures;
    int64_t lock_ms; /* of the lock that runs, 0 = none */
    int64_t since;   /* CLOCK_BOOTTIME of boot_id */
    bool same_boot;
};

static int64_t lock_of(int64_t failures)
{
    if (failures < LOCK_FROM)
        return 0;
    int64_t lock = LOCK_FIRST_MS;
    for (int64_t i = LOCK_FROM; i < failures && lock < LOCK_MAX_MS; i++)
        lock *= 2;
    return lock < LOCK_MAX_MS ? lock : LOCK_MAX_MS;
}

static enum sh_cause read_row(struct sh_registry *registry, const char *boot_id,
                              struct attempts *ret_attempts)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    bool row = false;
    SH_TRY(sh_db_prepare(registry,
                         "SELECT failures, lock_ms, since, boot_id = ? FROM attempts WHERE one = 1",
                         &stmt));
    sh_db_bind_text(stmt, 1, boot_id, BOOT_ID_MAX);
    SH_TRY(sh_db_step(registry, stmt, &row));
    if (!row)
        return sh_db_damaged(registry, "attempts");
    struct attempts attempts = {
        .failures = sqlite3_column_int64(stmt, 0),
        .lock_ms = sqlite3_column_int64(stmt, 1),
        .since = sqlite3_column_int64(stmt, 2),
        .same_boot = sqlite3_column_int(stmt, 3) != 0,
    };
    if (attempts.failures < 0 || attempts.lock_ms < 0)
        return sh_db_damaged(registry, "attempts");
    *ret_attempts = attempts;
    return SH_OK;
}

static enum sh_cause write_row(struct sh_registry *registry, const char *boot_id,
                               const struct attempts *attempts)
{
    sh_autostmt sqlite3_stmt *stmt = NULL;
    SH_TRY(sh_db_prepare(
        registry, "UPDATE attempts SET failures = ?, lock_ms = ?, since = ?, boot_id = ?", &stmt));
    sh_db_bind_int(stmt, 1, attempts->failures);
    sh_db_bind_int(stmt, 2, attempts->lock_ms);
    sh_db_bind_int(stmt, 3, attempts->since);
    sh_db_bind_text(stmt, 4, boot_id, BOOT_ID_MAX);
    return sh_db_run(registry, stmt);
}

/* Brings the lock up to `now`: begins it anew after a reboot, ends it when its time is over.
 * *ret_changed says that the row has to be written. */
static void lock_settle(struct attempts *attempts, int64_t now, bool *ret_changed)
{
    *ret_changed = false;
    if (attempts->lock_ms == 0)
        return;
    if (!attempts->same_boot || now < attempts->since) {
        attempts->since = now;
        attempts->same_boot = true;
        *ret_changed = true;
    } else if (now - attempts->since >= attempts->lock_ms) {
        attempts->lock_ms = 0;
        *ret_changed = true;
    }
}

static struct sh_gate gate_of(const struct attempts *attempts, int64_t now)
{
    struct sh_gate gate = {
        .failures = (unsigned)SH_MIN(attempts->failures, INT64_C(1000000)),
        .until_person = attempts->failures >= PERSON_FROM,
    };
    if (!gate.until_person && attempts->lock_ms > 0)
        gate.wait_ms = (uint64_t)(attempts->since + attempts->lock_ms - now);
    gate.open = !gate.until_person && gate.wait_ms == 0;
    return gate;
}

static enum sh_cause settle(struct sh_registry *registry, const char *boot_id, sh_ms now,
                            struct attempts *attempts)
{
    bool changed = false;
    SH_TRY(read_row(registry, boot_id, attempts));
    lock_settle(attempts, (int64_t)now, &changed);
    return changed ? write_row(registry, boot_id, attempts) : SH_OK;
}

enum sh_cause sh_registry_gate(struct sh_registry *registry, const char *boot_id, sh_ms now,
                               struct sh_gate *ret_gate)
{
    struct attempts attempts = {0};
    SH_TRY(sh_db_begin(registry));
    SH_TRY(sh_db_end(registry, settle(registry, boot_id, now, &attempts)));
    *ret_gate = gate_of(&attempts, (int64_t)now);
    return SH_OK;
}

static enum sh_cause charge(struct sh_registry *registry, const char *boot_id, sh_ms now,
                            struct sh_gate *ret_gate)
{
    struct attempts attempts = {0};
    SH_TRY(settle(registry, boot_id, now, &attempts));
    *ret_gate = gate_of(&attempts, (int64_t)now);
    if (!ret_gate->open)
        return SH_OK;
    attempts.failures++;
    attempts.lock_ms = lock_of(attempts.failures);
    attempts.since = (int64_t)now;
    return write_row(registry, boot_id, &attempts);
}

enum sh_cause sh_registry_charge(struct sh_registry *registry, const char *boot_id, sh_ms now)
{
    struct sh_gate gate = {0};
    SH_TRY(sh_db_begin(registry));
    /* Commits also when the gate is closed: a lock that begins anew after a reboot has to stay. */
    SH_TRY(sh_db_end(registry, charge(registry, boot_id, now, &gate)));
    if (gate.until_person)
        return sh_fail(SH_CONFIRM_LOCKED_OUT, "%u failures in a row: until a person opens it",
                       gate.failures);
    if (!gate.open)
        return sh_fail(SH_CONFIRM_LOCKED_OUT, "%u failures in a row: wait %" PRIu64 " s",
                       gate.failures, (gate.wait_ms + 999) / 1000);
    return SH_OK;
}

/* A success and a person's word both end the row of failures and the lock. */
static enum sh_cause reset(struct sh_registry *registry)
{
    return sh_db_exec(registry, "UPDATE attempts SET failures = 0, lock_ms = 0");
}

enum sh_cause sh_registry_confirmed(struct sh_registry *registry)
{
    return reset(registry);
}

enum sh_cause sh_registry_unlock(struct sh_registry *registry)
{
    return reset(registry);
}
