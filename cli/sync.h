/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The secondary at work: it looks for an anchor within a metre, connects, runs the session, asks the person for the code, dials the
 * links that the session wants. What arrived is handed to the caller, who installs it.
 */
#ifndef SIMHOP_CLI_SYNC_H
#define SIMHOP_CLI_SYNC_H

#include "cli/edge.h"
#include "cli/events.h"

#define SH_SYNC_CONNECT_MS 10000 /* until a stream is up */
#define SH_SYNC_CONNECTS   3     /* tries in all */

struct sh_sync_config {
    const struct sh_common *common;
    struct sh_output *out;
    const struct sh_identity *identity;
    struct sh_registry *registry;
    const char *anchor;       /* NULL = any */
    const uint8_t *anchor_id; /* of the linked one that is meant; NULL: whoever has the name */
    const char *dir;
    const char *eid; /* "" = unknown */
    int device_kind;
    int code_fd;
    enum sh_proximity_policy policy;
    bool pair;                /* with a code, even where we are linked */
    bool take_wifi;           /* Wi-Fi Direct may cost this device's own Wi-Fi link meanwhile */
    struct sh_tracer *tracer; /* what is seen is recorded there; NULL: nowhere */
    sh_ms started;
    /* What arrived; valid during the call. The session still says goodbye: installing comes later. */
    enum sh_cause (*arrived)(const struct sh_session_summary *summary, void *user);
    void *user;
};

SH_MUST_USE enum sh_cause sh_sync_run(const struct sh_sync_config *config);

#endif
