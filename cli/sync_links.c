/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The secondary's links: attempts of the session and of the direct way, and the door for calls of the anchor (cli/session_back.c): the
 * LAN link, which listens only as long as the session wants it.
 */
#include "cli/sync_internal.h"
#include "proto/log.h"
#include "transfer/back.h"

/* ---- Attempts ---- */

void sh_sync_on_dial(const struct sh_attempt *attempt, void *user)
{
    struct sync *sync = user;
    struct sh_link *link = sh_edge_link(&sync->edge, attempt->kind);
    enum sh_cause cause = SH_LINK_UNREACHABLE;
    if (link)
        cause = link->driver->dial(link, attempt);
    if (cause != SH_OK)
        sh_session_dial_failed(sync->session, attempt->id, attempt->kind, cause, NULL);
}

/* Whose it is only the links know; the others have no attempt of that number. */
void sh_sync_on_cancel(unsigned attempt, void *user)
{
    struct sync *sync = user;
    struct sh_link *links[] = {sync->edge.lan, sync->edge.wifi};
    for (size_t i = 0; i < SH_COUNT(links); i++) {
        if (links[i])
            links[i]->driver->cancel(links[i], attempt);
    }
}

static void on_dialled(struct sh_link *link, unsigned attempt, struct sh_stream *stream, void *user)
{
    struct sync *sync = user;
    if (sync->direct && attempt >= SH_DIRECT_FIRST)
        sh_direct_dialled(sync->direct, attempt, stream);
    else if (sync->session)
        sh_session_dialled(sync->session, attempt, link->driver->kind, stream);
    else
        sh_stream_close(stream);
}

static void on_dial_failed(struct sh_link *link, unsigned attempt, enum sh_cause cause,
                           const struct sh_path_facts *facts, void *user)
{
    struct sync *sync = user;
    if (sync->direct && attempt >= SH_DIRECT_FIRST)
        sh_direct_dial_failed(sync->direct, attempt, cause);
    else if (sync->session)
        sh_session_dial_failed(sync->session, attempt, link->driver->kind, cause, facts);
}

static void on_network(struct sh_link *link SH_UNUSED, void *user)
{
    struct sync *sync = user;
    if (sync->session)
        sh_session_network_changed(sync->session);
}

/* ---- Calls of the anchor ---- */

bool sh_sync_on_listen(bool on, void *user)
{
    struct sync *sync = user;
    struct sh_link *lan = sync->edge.lan;
    if (!lan)
        return false;
    if (!on) {
        lan->driver->unlisten(lan);
        return true;
    }
    /* More than the session takes: it decides who makes room. */
    sh_link_lan_admit(lan, 2 * SH_BACK_GUESTS);
    enum sh_cause cause = lan->driver->listen(lan, SH_BYTES(NULL, 0));
    if (cause == SH_OK)
        return true;
    sh_log("sync: the anchor cannot call: %s", sh_cause_info(cause)->name);
    lan->driver->unlisten(lan); /* else it would, once there is an address */
    return false;
}

static void on_offered(struct sh_link *link SH_UNUSED, const Simhop__LinkOffer *offer,
                       enum sh_cause cause SH_UNUSED, void *user)
{
    struct sync *sync = user;
    if (offer && sync->session)
        sh_session_listens(sync->session, offer);
}

static void on_accepted(struct sh_link *link, struct sh_stream *stream, void *user)
{
    struct sync *sync = user;
    if (sync->session)
        sh_session_dialled(sync->session, 0, link->driver->kind, stream);
    else
        sh_stream_close(stream);
}

const struct sh_link_ops sh_sync_link_ops = {.dialled = on_dialled,
                                             .dial_failed = on_dial_failed,
                                             .changed = on_network,
                                             .offered = on_offered,
                                             .accepted = on_accepted};
