//! One call of many endpoints.

use std::sync::Arc;

use futures::{
    StreamExt,
    future::{join_all, try_join_all},
    stream,
};
use prost::Message as _;
use rutile_model::ErrorKind;
use rutile_proto::thanos::info::InfoResponse;
use rutile_runtime::{Account, Reservation};
use rutile_storeapi::{
    Error, RequestContext, Result,
    grpc::{MessageStream, Method},
};

use super::ProxiesConfig;
use crate::{Endpoint, chain, patience::Patience};

/// A method that all endpoints are asked which serve it.
pub(crate) trait Asked: Method<Request: Clone> {
    /// What an answer consists of, warnings aside.
    type Data: Send + 'static;
    /// For error messages.
    const WHAT: &'static str;

    /// Whether an endpoint that says this of itself serves it.
    fn is_served(info: &InfoResponse) -> bool;

    /// The `PartialResponseStrategy` of a request.
    fn strategy(request: &Self::Request) -> i32;

    /// What each endpoint that has something to say is asked: unless a method knows better, all the
    /// same.
    fn questions(
        request: &Self::Request,
        endpoints: Vec<Arc<Endpoint>>,
        _: &ProxiesConfig,
    ) -> Result<Vec<(Arc<Endpoint>, Self::Request)>> {
        let question = |endpoint| (endpoint, request.clone());
        Ok(endpoints.into_iter().map(question).collect())
    }

    /// Takes a message; `None` if it is of a kind that is not known here.
    fn open(response: Self::Response) -> Option<Message<Self::Data>>;

    /// Makes a message.
    fn close(message: Message<Self::Data>) -> Self::Response;
}

/// What a message of an answer holds.
pub(crate) enum Message<T> {
    Data(T),
    Warning(String),
}

/// How endpoints are asked.
pub(crate) struct Call<'a> {
    pub(crate) ctx: &'a RequestContext,
    pub(crate) partial: bool,
    pub(crate) patience: Patience,
    /// What is held until the answer is dropped.
    pub(crate) account: Account,
}

/// What came, in order of the endpoints' names.
pub(crate) struct Gathered<T> {
    pub(crate) data: Vec<T>,
    /// Each text once.
    pub(crate) warnings: Vec<String>,
    pub(crate) held: Vec<Reservation>,
}

impl<T> Default for Gathered<T> {
    fn default() -> Self {
        Self {
            data: Vec::new(),
            warnings: Vec::new(),
            held: Vec::new(),
        }
    }
}

impl Call<'_> {
    /// Asks all endpoints at once that can be asked.
    ///
    /// # Errors
    /// Without partial response that of the first endpoint that fails, or that some cannot be asked.
    pub(crate) async fn ask_all<M: Asked>(
        &self,
        mut questions: Vec<(Arc<Endpoint>, M::Request)>,
    ) -> Result<Gathered<M::Data>> {
        let mut missing = Vec::new();
        questions.retain(|(endpoint, _)| {
            let reason = endpoint.missing();
            let is_there = reason.is_none();
            missing.extend(reason);
            is_there
        });
        if !self.partial && !missing.is_empty() {
            return Err(chain::missing(&missing));
        }
        let calls = questions
            .iter()
            .map(|(endpoint, request)| self.ask::<M>(endpoint, request));
        let answers = if self.partial {
            join_all(calls).await.into_iter().collect()
        } else {
            try_join_all(calls).await
        }?;
        let mut all = Gathered {
            warnings: missing,
            ..Gathered::default()
        };
        for answer in answers {
            all.add(answer);
        }
        Ok(all)
    }

    /// Asks one. Under partial response its failure is a warning.
    async fn ask<M: Asked>(
        &self,
        endpoint: &Endpoint,
        request: &M::Request,
    ) -> Result<Gathered<M::Data>> {
        let mut answer = Gathered::default();
        if let Err(error) = self.read::<M>(endpoint, request, &mut answer).await {
            let error = chain::of_store(endpoint.name(), M::WHAT, &error);
            if !self.partial {
                return Err(error);
            }
            answer.warnings.push(error.to_string());
        }
        match answer.warnings.first() {
            Some(warning) if !self.partial => Err(chain::warned(endpoint.name(), warning)),
            _ => Ok(answer),
        }
    }

    /// Reads to the end, or up to the error.
    async fn read<M: Asked>(
        &self,
        endpoint: &Endpoint,
        request: &M::Request,
        answer: &mut Gathered<M::Data>,
    ) -> Result<()> {
        let call = endpoint.stream::<M>(self.ctx, request);
        let mut messages = self.patience.wait(call).await?;
        let mut next = async || messages.next().await.transpose();
        while let Some(response) = self.patience.wait(next()).await? {
            let bytes = response.encoded_len() as u64;
            let held = self.account.reserve(bytes).await.map_err(|exhausted| {
                let message = "its answer does not fit into memory";
                Error::new(ErrorKind::Exhausted, message).with_source(exhausted)
            })?;
            answer.held.push(held);
            match M::open(response) {
                Some(Message::Data(data)) => answer.data.push(data),
                Some(Message::Warning(text)) => answer.warnings.push(text),
                None => {
                    let message = "its answer has a message of an unknown kind";
                    return Err(Error::new(ErrorKind::Corrupt, message));
                }
            }
        }
        Ok(())
    }
}

impl<T: Send + 'static> Gathered<T> {
    fn add(&mut self, answer: Self) {
        self.data.extend(answer.data);
        self.held.extend(answer.held);
        for warning in answer.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// As messages: the data as it came, then the warnings.
    pub(crate) fn into_messages<M: Asked<Data = T>>(self) -> MessageStream<M::Response> {
        let data = self.data.into_iter().map(Message::Data);
        let warnings = self.warnings.into_iter().map(Message::Warning);
        let held = self.held;
        let close = move |message| {
            // Reserved until the last message was taken.
            let _ = &held;
            Ok(M::close(message))
        };
        stream::iter(data.chain(warnings)).map(close).boxed()
    }
}
