/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whatever a stranger says in the clear, to either role: the first octet chooses the role, whether we are coming back, for what, and
 * whom the anchor takes the other one for; the rest is the stream. The radio says "near" in between, so that all states can be reached.
 */
#include <string.h>

#include "pairing/handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool over, takes_calibration;
static enum sh_purpose wanted; /* of the secondary */

static void tx(struct sh_bytes frame SH_UNUSED, void *user SH_UNUSED) {}
static void phase(enum sh_handshake_phase now SH_UNUSED, const char *peer SH_UNUSED,
                  void *user SH_UNUSED)
{
}
static void sample(bool on SH_UNUSED, void *user SH_UNUSED) {}
static void proximity(const struct sh_proximity_estimate *estimate SH_UNUSED, bool final SH_UNUSED,
                      void *user SH_UNUSED)
{
}
/* Some are known, with a level of their own. */
static bool returning(const uint8_t id[SH_RETURNING_ID_SIZE], const uint8_t nonce[SH_HELLO_NONCE],
                      struct sh_level *ret_level, void *user SH_UNUSED)
{
    *ret_level = (struct sh_level){-40.0 - nonce[0] % 50, SH_LEVEL_CALIBRATED};
    return id[0] & 1;
}
static enum sh_cause gate(uint32_t *ret_wait_s SH_UNUSED, void *user SH_UNUSED)
{
    return SH_OK;
}
static enum sh_cause fine(void *user SH_UNUSED)
{
    return SH_OK;
}
static void show_code(const struct sh_code *code SH_UNUSED, void *user SH_UNUSED) {}
static void want_code(unsigned run SH_UNUSED, void *user SH_UNUSED) {}
static void done(const struct sh_handshake_result *result, void *user SH_UNUSED)
{
    over = true;
    /* Without the code nobody gets this far; coming back is confirmed by TLS. */
    if (!result->reconnect)
        __builtin_trap();
    if (result->purpose != wanted && (wanted == SH_PURPOSE_CALIBRATE || !takes_calibration))
        __builtin_trap();
}
static void failed(enum sh_cause cause, void *user SH_UNUSED)
{
    over = true;
    if (cause == SH_OK || cause == SH_INTERNAL_BUG)
        __builtin_trap();
}

static const struct sh_handshake_ops ops = {
    .tx = tx,
    .phase = phase,
    .sample = sample,
    .proximity = proximity,
    .returning = returning,
    .gate = gate,
    .charge = fine,
    .confirmed = fine,
    .show_code = show_code,
    .want_code = want_code,
    .done = done,
    .failed = failed,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sh_handshake_config config = {
        .name = "device", .level = {-59.0, SH_LEVEL_STATED}, .link_count = 1};
    struct sh_handshake *handshake = NULL;
    const struct sh_code code = {"123456"};
    sh_ms now = 1000;
    if (size == 0)
        return 0;
    over = false;
    config.role = data[0] & 1 ? SH_ANCHOR : SH_SECONDARY;
    config.reconnect = data[0] & 2 && config.role == SH_SECONDARY;
    const struct sh_secret key = {{7}};
    config.returning_key = data[0] & 4 ? &key : NULL;
    config.learns = takes_calibration = data[0] & 8 && config.role == SH_ANCHOR;
    config.shares_nothing = data[0] & 16;
    wanted = data[0] & 8 && config.reconnect ? SH_PURPOSE_CALIBRATE : SH_PURPOSE_SYNC;
    config.purpose = wanted;
    if (sh_handshake_new(&config, &ops, NULL, now, &handshake) != SH_OK)
        return 0;
    for (size_t at = 1; at < size && !over;) {
        size_t used = 0, n = SH_MIN(size - at, (size_t)100);
        sh_handshake_rx(handshake, SH_BYTES(data + at, n), now, &used);
        at += n;
        for (int i = 0; i < 120 && !over; i++)
            sh_handshake_rssi(handshake, -45, now += 30);
        if (!over)
            sh_handshake_code(handshake, &code, now);
    }
    sh_handshake_closed(handshake);
    sh_handshake_free(handshake);
    return 0;
}
