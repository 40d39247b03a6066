/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/teach.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "system/clock.h"

struct sh_teach {
    struct sh_teach_config config;
    const struct sh_teach_ops *ops;
    void *user;
    char address[SH_BLE_ADDRESS];
    struct sh_advert advert;
    struct sh_session *session, *old; /* old: over, freed with the next tick */
    struct sh_stream *stream;
    sh_ms deadline; /* of the connection; SH_NEVER: none is being made */
    enum sh_cause connect_cause;
    unsigned connects;
    bool over;
};

static void end(struct sh_teach *teach, enum sh_cause cause)
{
    if (teach->over)
        return;
    teach->over = true;
    teach->deadline = SH_NEVER;
    teach->ops->ended(sh_edge_explain(teach->config.edge, cause), teach->user);
}

/* anew: over a new connection, because the old one is of no use. */
static void connect_anchor(struct sh_teach *teach, bool anew)
{
    struct sh_ble *ble = teach->config.edge->ble;
    teach->connects++;
    teach->deadline = sh_now() + SH_TEACH_CONNECT_MS;
    enum sh_cause cause = ble->driver->connect(ble, teach->address, teach->advert.psm, anew);
    if (cause != SH_OK)
        end(teach, cause);
}

/* ---- What the session tells ---- */

static sh_ms on_now(void *user SH_UNUSED)
{
    return sh_now();
}

static void on_wake(void *user)
{
    struct sh_teach *teach = user;
    sh_edge_wake(teach->config.edge);
}

static void on_phase(enum sh_phase phase SH_UNUSED, const char *peer SH_UNUSED,
                     void *user SH_UNUSED)
{
}

static void on_proximity(const struct sh_proximity_estimate *estimate SH_UNUSED,
                         bool final SH_UNUSED, void *user SH_UNUSED)
{
}

static void on_sample(bool on, void *user)
{
    struct sh_teach *teach = user;
    struct sh_ble *ble = teach->config.edge->ble;
    if (teach->stream)
        ble->driver->sample(ble, teach->stream, on);
}

static void on_calibrated(const char *peer SH_UNUSED, const struct sh_calibrated *level, void *user)
{
    struct sh_teach *teach = user;
    teach->ops->learned(level, teach->user);
}

/* The anchor did not answer our greeting: another try, as sync does. */
static bool may_connect_again(const struct sh_teach *teach, enum sh_cause cause)
{
    bool mute = cause == SH_CONNECT_TIMEOUT || cause == SH_CONNECT_LOST;
    return mute && !teach->over && !sh_session_greeted(teach->old) &&
           teach->connects < SH_TEACH_CONNECTS;
}

static void on_ended(enum sh_cause cause, void *user)
{
    struct sh_teach *teach = user;
    teach->old = teach->session;
    teach->session = NULL;
    teach->stream = NULL;
    if (may_connect_again(teach, cause))
        connect_anchor(teach, true);
    else
        end(teach, cause);
    sh_edge_wake(teach->config.edge);
}

static const struct sh_session_ops session_ops = {
    .now = on_now,
    .wake = on_wake,
    .phase = on_phase,
    .proximity = on_proximity,
    .sample = on_sample,
    .calibrated = on_calibrated,
    .ended = on_ended,
};

/* ---- The connection ---- */

static void fill_config(const struct sh_teach *teach, struct sh_session_config *config)
{
    const struct sh_teach_config *from = &teach->config;
    *config = (struct sh_session_config){.role = SH_SECONDARY,
                                         .identity = from->identity,
                                         .registry = from->registry,
                                         .boot_id = from->edge->boot_id,
                                         .name = from->name,
                                         .eid = "",
                                         .wall = from->edge->wall,
                                         .level = sh_level_best(from->found.dbm, (double)NAN),
                                         .purpose = SH_PURPOSE_CALIBRATE,
                                         .calibrated = from->found,
                                         .reconnect_to = from->anchor};
    memcpy(config->advertised_id, teach->advert.id, sizeof(config->advertised_id));
}

void sh_teach_stream(struct sh_teach *teach, struct sh_stream *stream)
{
    struct sh_session_config config;
    if (teach->session || teach->over) {
        sh_stream_close(stream);
        return;
    }
    teach->stream = stream;
    teach->deadline = SH_NEVER;
    fill_config(teach, &config);
    enum sh_cause cause = sh_session_new(&config, &session_ops, teach, stream, &teach->session);
    if (cause != SH_OK) {
        teach->stream = NULL;
        end(teach, cause);
    }
}

void sh_teach_connect_failed(struct sh_teach *teach, enum sh_cause cause)
{
    if (teach->session || teach->over || teach->deadline == SH_NEVER)
        return;
    teach->connect_cause = cause;
    if (teach->connects < SH_TEACH_CONNECTS)
        connect_anchor(teach, false);
    else
        end(teach, cause);
}

void sh_teach_rssi(struct sh_teach *teach, const struct sh_stream *stream, int dbm)
{
    if (teach->session && teach->stream == stream)
        sh_session_rssi(teach->session, dbm);
}

/* ---- Its life ---- */

void sh_teach_stop(struct sh_teach *teach, enum sh_cause cause)
{
    if (teach->session)
        sh_session_stop(teach->session, cause);
    end(teach, cause);
}

sh_ms sh_teach_tick(struct sh_teach *teach, sh_ms now)
{
    sh_session_free(teach->old);
    teach->old = NULL;
    if (teach->over)
        return SH_NEVER;
    if (teach->session)
        return sh_session_tick(teach->session);
    if (now >= teach->deadline)
        end(teach, teach->connect_cause);
    return teach->deadline;
}

enum sh_cause sh_teach_new(const struct sh_teach_config *config, const char *address,
                           const struct sh_advert *advert, const struct sh_teach_ops *ops,
                           void *user, struct sh_teach **ret_teach)
{
    struct sh_teach *teach = calloc(1, sizeof(*teach));
    if (!teach || !sh_strcopy(teach->address, sizeof(teach->address), address)) {
        free(teach);
        return SH_ENV_NO_MEMORY;
    }
    teach->config = *config;
    teach->ops = ops;
    teach->user = user;
    teach->advert = *advert;
    teach->connect_cause = SH_CONNECT_TIMEOUT;
    *ret_teach = teach;
    connect_anchor(teach, false);
    return SH_OK;
}

void sh_teach_free(struct sh_teach *teach)
{
    if (!teach)
        return;
    sh_session_free(teach->session);
    sh_session_free(teach->old);
    free(teach);
}
