//! `#[boxed_async]`.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::{
    Block, Error, FnArg, ImplItem, Item, Lifetime, Result, ReturnType, Signature, TraitItem, TypeReference,
    parse_quote,
    visit_mut::{self, VisitMut},
};

pub fn expand(mut item: Item) -> Result<TokenStream> {
    match &mut item {
        Item::Trait(item) => {
            for item in &mut item.items {
                if let TraitItem::Fn(method) = item {
                    expand_method(&mut method.sig, method.default.as_mut())?;
                }
            }
        }
        Item::Impl(item) => {
            for item in &mut item.items {
                if let ImplItem::Fn(method) = item {
                    expand_method(&mut method.sig, Some(&mut method.block))?;
                }
            }
        }
        other => return Err(Error::new_spanned(other, "expected a trait, or an implementation of one")),
    }
    Ok(item.into_token_stream())
}

fn expand_method(signature: &mut Signature, body: Option<&mut Block>) -> Result<()> {
    if signature.asyncness.take().is_none() {
        return Ok(());
    }
    if !signature.generics.params.is_empty() {
        return Err(Error::new_spanned(&signature.generics, "its future has the lifetime of its arguments alone"));
    }
    let call = Lifetime::new("'call", Span::mixed_site());
    signature.generics.params.push(parse_quote!(#call));
    for argument in &mut signature.inputs {
        match argument {
            FnArg::Receiver(receiver) => Arguments { call: &call }.visit_receiver_mut(receiver),
            FnArg::Typed(argument) => Arguments { call: &call }.visit_type_mut(&mut argument.ty),
        }
    }
    let output = match &signature.output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, output) => output.clone(),
    };
    signature.output = parse_quote!(-> crate::environment::Boxed<#call, #output>);
    if let Some(body) = body {
        // Of an async block the type is not known before its end, but `?` asks for it; the branch is never taken.
        *body = parse_quote!({
            ::std::boxed::Box::pin(async move {
                #[allow(clippy::diverging_sub_expression, clippy::needless_return, unreachable_code)]
                if let ::core::option::Option::Some(answer) = ::core::option::Option::None::<#output> {
                    return answer;
                }
                #body
            })
        });
    }
    Ok(())
}

/// Gives what is borrowed by a call its lifetime. What a reference leads to keeps its own, which is longer.
struct Arguments<'a> {
    call: &'a Lifetime,
}

impl VisitMut for Arguments<'_> {
    fn visit_receiver_mut(&mut self, receiver: &mut syn::Receiver) {
        if let Some((_, lifetime)) = &mut receiver.reference {
            lifetime.get_or_insert_with(|| self.call.clone());
        }
        if let syn::Type::Reference(reference) = &mut *receiver.ty {
            reference.lifetime.get_or_insert_with(|| self.call.clone());
        }
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime.get_or_insert_with(|| self.call.clone());
    }

    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        if lifetime.ident == "_" {
            *lifetime = self.call.clone();
        }
        visit_mut::visit_lifetime_mut(self, lifetime);
    }
}
