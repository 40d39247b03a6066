/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/background.h"

static void on_ended(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    sh_edge_wake(user);
}

/* Edge-triggered: what ended is taken by whoever gave it, and that may be a while later. */
static struct event *watch(struct sh_edge *edge, const struct sh_worker *worker)
{
    struct event *event =
        event_new(edge->base, sh_worker_fd(worker), EV_READ | EV_PERSIST | EV_ET, on_ended, edge);
    if (event)
        event_add(event, NULL);
    return event;
}

enum sh_cause sh_background_open(struct sh_background *background, struct sh_edge *edge)
{
    SH_TRY(sh_worker_new(&background->worker));
    SH_TRY(sh_worker_new(&background->syncer));
    background->ended[0] = watch(edge, background->worker);
    background->ended[1] = watch(edge, background->syncer);
    return background->ended[0] && background->ended[1] ? SH_OK : SH_ENV_NO_MEMORY;
}

void sh_background_close(struct sh_background *background)
{
    for (size_t i = 0; i < SH_COUNT(background->ended); i++) {
        if (background->ended[i])
            event_free(background->ended[i]);
        background->ended[i] = NULL;
    }
    sh_worker_free(background->worker);
    sh_worker_free(background->syncer);
    background->worker = background->syncer = NULL;
}
