//! The end of the service: told by SIGTERM, or Ctrl-C, it takes no more requests, finishes those that run and closes the store.

use std::{error::Error, future::pending, net::SocketAddr, time::Duration};

use axum::Router;
use rolekeep::UserManagement;
use tokio::{net::TcpListener, signal::ctrl_c, time::sleep};

/// How long requests may take to finish. Whatever runs the service must wait for longer before it kills the process.
const GRACE: Duration = Duration::from_secs(25);

/// Serves until the process is told to end. Told again, it does not wait for requests.
///
/// # Errors
/// Those of the socket, and of closing the store.
pub async fn serve(listener: TcpListener, app: Router, um: &UserManagement) -> Result<(), Box<dyn Error>> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(told());
    tokio::select! {
        served = async { serving.await } => served?,
        () = out_of_time() => {}
    }
    um.close().await?;
    Ok(())
}

async fn out_of_time() {
    told().await;
    tokio::select! {
        () = told() => {}
        () = sleep(GRACE) => {}
    }
}

/// By SIGTERM or Ctrl-C. A signal that cannot be listened for ends the process as it always did.
async fn told() {
    #[cfg(unix)]
    let terminated = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => signal.recv().await,
            Err(_) => pending().await,
        };
    };
    #[cfg(not(unix))]
    let terminated = pending::<()>();
    let interrupted = async {
        if ctrl_c().await.is_err() {
            pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}
